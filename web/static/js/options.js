// A list of options that an input drives (ARIA combobox with a listbox): arrows move, Enter opens, the focus stays in the input.

export class Options {
  constructor(input, list) {
    this.input = input;
    this.list = list;
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-expanded", "false");
    input.setAttribute("aria-controls", list.id);
    input.addEventListener("keydown", (event) => this.key(event));
    list.addEventListener("pointermove", (event) => this.choose(event.target.closest("[role=option]"), false));
  }

  get all() {
    return [...this.list.querySelectorAll("[role=option]")].filter((option) => !option.hidden);
  }

  get chosen() {
    return this.list.querySelector("[role=option][aria-selected=true]");
  }

  /** Shows what is in the list; ``first`` chooses the first option. */
  filled(first) {
    this.input.setAttribute("aria-expanded", String(this.all.length > 0));
    this.choose(first ? this.all[0] : null);
  }

  choose(option, scroll = true) {
    if (option === undefined) return;
    this.chosen?.setAttribute("aria-selected", "false");
    if (!option) return this.input.removeAttribute("aria-activedescendant");
    option.setAttribute("aria-selected", "true");
    this.input.setAttribute("aria-activedescendant", option.id);
    if (scroll) option.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const all = this.all;
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!all.length) return;
      event.preventDefault();
      const at = all.indexOf(this.chosen);
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.choose(all[at < 0 ? (step > 0 ? 0 : all.length - 1) : (at + step + all.length) % all.length]);
    } else if (event.key === "Enter" && this.chosen) {
      event.preventDefault();
      this.chosen.click();
    }
  }
}
