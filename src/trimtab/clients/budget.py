"""The dollar ledger: what a run may spend on APIs, what it has spent, and what it got for it.

One append-only journal per run. Before a request is sent, its worst case is reserved; when the
reply is there, what it really cost replaces the reservation. A reservation that nobody settles (a
killed process) counts as spent for ever, because the provider may have billed it. So the cap holds
over threads, processes and attempts, whatever dies in between. A settled line holds the reply too:
what was paid for once is never asked for again.

Amounts are whole nanodollars, rounded up, so that sums are exact.
"""

from __future__ import annotations

import math
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.clients._journal import Journal
from trimtab.core.errors import JudgeError
from trimtab.core.report import Spend
from trimtab.core.spec import Price

SPEND = "spend.jsonl"
"""The journal's name within a run."""
NANO = 1_000_000_000
WHOLE_RUN = "*"
"""The account that every other one counts into."""


@dataclass(frozen=True)
class Reply:
    """What a request brought, as it was read.

    Attributes:
        value: A text, a probability, or None if it held neither.
        lacks: What was asked for and is not in it, although the model did reply; None if nothing.
    """

    value: str | float | None
    lacks: str | None = None


@dataclass(frozen=True)
class _Charge:
    """A reservation, or what became of it."""

    account: str
    nanodollars: int
    sure: bool = False
    replied: bool = False


class Ledger:
    """The journal of one run; any number of threads and processes may share it.

    Attributes:
        path: The journal; its lock lies beside it.
    """

    def __init__(self, path: Path) -> None:
        """Name the journal; it is made by the first entry."""
        self.path = path
        self._turn = threading.Condition()
        self._journal = Journal(path, self._take)
        self._charges: dict[str, _Charge] = {}
        self._totals: dict[str, int] = {}
        self._caps: dict[str, int] = {}
        self._replies: dict[str, Reply] = {}
        self._answered: set[str] = set()
        self._under_way: set[str] = set()

    def set_cap(self, dollars: float, account: str = WHOLE_RUN, *, keep: bool = False) -> None:
        """Cap an account, or the whole run; the newest cap counts, also in other processes.

        Args:
            dollars: Most that may be spent in all, what was spent before included.
            account: Whose.
            keep: Change nothing if the account has a cap already.

        Raises:
            StoreError: The journal can't be read or written.
        """
        cap = math.floor(dollars * NANO)
        with self._turn, self._journal.held():
            if (keep and account in self._caps) or self._caps.get(account) == cap:
                return
            self._journal.append({"kind": "cap", "account": account, "nanodollars": cap})

    def cap(self, account: str = WHOLE_RUN) -> float | None:
        """Return an account's cap in dollars; None if it has none."""
        with self._turn, self._journal.current():
            found = self._caps.get(account)
        return None if found is None else found / NANO

    def spent(self, account: str = WHOLE_RUN) -> float:
        """Return what an account has spent in dollars, reservations included."""
        with self._turn, self._journal.current():
            return self._totals.get(account, 0) / NANO

    def accounts(self) -> list[Spend]:
        """Return what each account did, in the order of their names; free ones are among them."""
        with self._turn, self._journal.current():
            charges, caps = list(self._charges.values()), dict(self._caps)
        found = []
        for name in sorted({charge.account for charge in charges}):
            mine = [charge for charge in charges if charge.account == name]
            found.append(
                Spend(
                    name=name,
                    requests=len(mine),
                    replies=sum(charge.replied for charge in mine),
                    dollars=sum(charge.nanodollars for charge in mine) / NANO,
                    unsure=sum(c.nanodollars for c in mine if not c.sure) / NANO,
                    cap=caps[name] / NANO if name in caps else None,
                )
            )
        return found

    def reply(self, request: str) -> Reply | None:
        """Return what a request brought when it was paid for; None if it never was."""
        with self._turn:
            if request not in self._replies:
                with self._journal.current():
                    pass  # taking the lock reads what others have written since
            return self._replies.get(request)

    def has_answers(self, account: str) -> bool:
        """Return whether a request of an account ever brought a text or a probability."""
        with self._turn, self._journal.current():
            return account in self._answered

    def num_unchecked(self) -> int:
        """Return how many lines have no checksum; raise StoreError if any was lost or changed."""
        with self._turn, self._journal.current():
            return self._journal.num_bare

    def reserve(self, account: str, nanodollars: int, request: str) -> str:
        """Set aside the worst case of one request and return the reservation's id.

        While requests of this process are under way, one that does not fit waits for them: they
        usually cost less than was reserved.

        Raises:
            JudgeError: A cap would be exceeded; nothing was reserved.
            StoreError: The journal can't be read or written.
        """
        with self._turn:
            while True:
                with self._journal.held():
                    problem = self._problem(account, nanodollars)
                    if problem is None:
                        mark = secrets.token_hex(8)
                        entry = {"kind": "reserve", "id": mark, "account": account}
                        entry["request"] = request
                        self._journal.append({**entry, "nanodollars": nanodollars})
                        self._under_way.add(mark)
                        return mark
                if not self._under_way:
                    raise JudgeError(
                        problem,
                        hint="What was paid for is kept. Raise the cap with `trimtab score RUN "
                        "--max-dollars DOLLARS` to go on.",
                    )
                self._turn.wait(1.0)

    def settle(
        self,
        mark: str,
        nanodollars: int | None,
        *,
        basis: str,
        request: str = "",
        reply: Reply | None = None,
    ) -> None:
        """Replace a reservation by what the request cost.

        Args:
            mark: What ``reserve`` returned.
            nanodollars: The cost; None leaves the reservation as the cost.
            basis: Where the figure comes from, for people.
            request: The request's key, where there is a reply to keep.
            reply: What it brought.

        Raises:
            StoreError: The journal can't be written; the reservation stays.
        """
        with self._turn, self._journal.held():
            cost = self._charges[mark].nanodollars if nanodollars is None else nanodollars
            entry: dict[str, Any] = {"kind": "settle", "id": mark, "nanodollars": cost}
            entry |= {"basis": basis, "sure": nanodollars is not None}
            if reply is not None:
                entry |= {"request": request, "reply": reply.value}
                entry |= {"lacks": reply.lacks} if reply.lacks is not None else {}
            self._journal.append(entry)

    def leave(self, mark: str) -> None:
        """Say that a request is over, however it ended; unless settled, its reservation stands."""
        with self._turn:
            self._under_way.discard(mark)
            self._turn.notify_all()

    def _problem(self, account: str, nanodollars: int) -> str | None:
        """Return why ``account`` can't spend ``nanodollars`` more; None if it can."""
        if nanodollars and not {account, WHOLE_RUN} & set(self._caps):
            return (
                f"{account} would spend money, and there is no cap: give max_dollars to its "
                "endpoint, or a cap to the run."
            )
        for whose, name in ((account, account), (WHOLE_RUN, "this run")):
            cap, total = self._caps.get(whose), self._totals.get(whose, 0)
            if nanodollars and cap is not None and total + nanodollars > cap:
                return (
                    f"The cap of {name} is reached: {total / NANO:.6f} of {cap / NANO:.6f} dollars "
                    f"are spent or reserved, and the next request may cost {nanodollars / NANO:.6f}"
                    "."
                )
        return None

    def _take(self, entry: dict[str, Any]) -> None:
        if entry["kind"] == "cap":
            self._caps[entry["account"]] = entry["nanodollars"]
            return
        mark, cost = entry["id"], entry["nanodollars"]
        before = self._charges.get(mark, _Charge(entry.get("account", WHOLE_RUN), 0))
        self._charges[mark] = _Charge(
            before.account, cost, sure=entry.get("sure", False), replied="reply" in entry
        )
        for account in {before.account, WHOLE_RUN}:
            total = self._totals.get(account, 0)
            self._totals[account] = total + cost - before.nanodollars
        if "reply" in entry:
            found = Reply(entry["reply"], entry.get("lacks"))
            self._replies.setdefault(entry["request"], found)
            if found.value is not None:
                self._answered.add(before.account)


def cost(price: Price, num_input: int, num_output: int) -> int:
    """Return what a call costs in nanodollars, rounded up; token counts in and out."""
    # Dollars per million tokens are thousands of nanodollars per token.
    return math.ceil((price.input * num_input + price.output * num_output) * 1000 - 1e-6)
