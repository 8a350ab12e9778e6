// Everything a page does beyond HTML. Each module works on what it finds; a page without it still reads and submits.
import "./swap.js";
import "./panels.js";
import "./forms.js";
import "./toasts.js";
import "./freshness.js";
import "./shell.js";
import "./keys.js";
import "./finder.js";
import "./palette.js";
import "./copy.js";
import "./list.js";
import "./record.js";
import "./stream.js";
