"""What the catalogue does because a day begins."""

from __future__ import annotations

from datetime import timedelta

from transactional.kernel.timers import Due, daily, run_command_for_timer


@daily
def list_prices(due: Due) -> bool:
    """Prices that begin today, or ended yesterday, reach the list prices; so do those of days on which nobody ran."""
    since = due.last_run_at or due.period - timedelta(days=1)
    answer = run_command_for_timer(due, "inventory.refresh_list_prices", {"since": since.date()})
    return bool(answer.data["more"])
