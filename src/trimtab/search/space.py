"""What a search may choose: methods by name, and the settings of each that it may vary.

A method is the table of an intervention whose values are given as they are, or as what they may be:

    caa:
      layer: {low: 10, high: 20}                   # whole numbers, both ends among them
      strength: {low: 0.05, high: 0.8, log: true, signed: true}
      positions: {choices: [generated, all]}
      unit: relative                               # fixed
    pca: {name: caa, estimator: pca, layer: {choices: [10, 15]}, strength: {low: -0.6, high: 0.6}}

Each method has a sub-space of its own. Parameters are named ``<method>.<key>``, nested keys with
further dots; the sign of a signed range is a parameter of its own, ``<method>.<key>.sign``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trimtab.core.lazy import lazy
from trimtab.core.spec import Component

if TYPE_CHECKING:
    import optuna
else:
    optuna = lazy("optuna")

Param = float | int | str
Params = dict[str, Param]
Distributions = dict[str, "optuna.distributions.BaseDistribution"]
METHOD = "method"
"""The parameter that names the method, where there are several."""

SIGN = ".sign"
"""End of the parameter that says on which side of 0 a signed number is."""


@dataclass(frozen=True)
class Range:
    """Numbers between two ends, both among them.

    Attributes:
        low: The smallest.
        high: The largest.
        whole: Whether they are whole numbers.
        step: Their distance; None where any number in between will do.
        log: Whether they are drawn evenly on a logarithmic scale.
        signed: Whether each may be negative as well; its sign is a parameter of its own.
    """

    low: float
    high: float
    whole: bool = False
    step: float | None = None
    log: bool = False
    signed: bool = False

    def ask(self, trial: optuna.Trial, name: str) -> Params:
        """Return what ``trial`` is to try."""
        value: Param
        if self.whole:
            step = 1 if self.step is None else int(self.step)
            value = trial.suggest_int(name, int(self.low), int(self.high), step=step, log=self.log)
        else:
            value = trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)
        if not self.signed:
            return {name: value}
        sign = trial.suggest_categorical(f"{name}{SIGN}", ("+", "-"))
        return {name: value, f"{name}{SIGN}": str(sign)}

    def distributions(self, name: str) -> Distributions:
        """Return what ``ask`` draws from, as Optuna describes it."""
        kinds = optuna.distributions
        drawn: Distributions = {}
        if self.whole:
            step = 1 if self.step is None else int(self.step)
            drawn[name] = kinds.IntDistribution(int(self.low), int(self.high), self.log, step)
        else:
            drawn[name] = kinds.FloatDistribution(self.low, self.high, self.log, self.step)
        if self.signed:
            drawn[f"{name}{SIGN}"] = kinds.CategoricalDistribution(("+", "-"))
        return drawn

    def value(self, params: Mapping[str, Param], name: str) -> float | int:
        """Return the setting that parameters stand for."""
        size = int(params[name]) if self.whole else float(params[name])
        return -size if self.signed and params[f"{name}{SIGN}"] == "-" else size

    def grid(self, name: str) -> list[Params] | None:
        """Return every value as parameters; None where they can't be counted."""
        step = 1 if self.whole and self.step is None else self.step
        if step is None:
            return None
        count = int((self.high - self.low) / step + 1e-9) + 1
        sizes = [round(self.low + i * step, 12) for i in range(count)]
        points: list[Params] = [{name: int(size) if self.whole else size} for size in sizes]
        if not self.signed:
            return points
        return [{**point, f"{name}{SIGN}": sign} for point in points for sign in ("+", "-")]

    def ends(self) -> tuple[Any, ...]:
        """Return the settings that a check should try."""
        ends = (self.low, self.high, *((-self.low, -self.high) if self.signed else ()))
        return tuple(map(int, ends)) if self.whole else ends


@dataclass(frozen=True)
class Choices:
    """One of several settings, of any kind; a parameter is the JSON of one."""

    choices: tuple[Any, ...]

    def ask(self, trial: optuna.Trial, name: str) -> Params:
        """Return what ``trial`` is to try."""
        return {name: str(trial.suggest_categorical(name, tuple(map(json.dumps, self.choices))))}

    def distributions(self, name: str) -> Distributions:
        """Return what ``ask`` draws from, as Optuna describes it."""
        named = tuple(map(json.dumps, self.choices))
        return {name: optuna.distributions.CategoricalDistribution(named)}

    def value(self, params: Mapping[str, Param], name: str) -> Any:
        """Return the setting that parameters stand for."""
        return json.loads(str(params[name]))

    def grid(self, name: str) -> list[Params]:
        """Return every value as parameters."""
        return [{name: json.dumps(choice)} for choice in self.choices]

    def ends(self) -> tuple[Any, ...]:
        """Return the settings that a check should try."""
        return self.choices


Domain = Range | Choices


@dataclass(frozen=True)
class Method:
    """One method of a space.

    Attributes:
        label: What the search calls it.
        name: The intervention.
        fixed: Settings that don't vary.
        domains: What the others may be, by their path in the configuration.
        shared: Settings that are the same for all trials, so that these share one fit.
    """

    label: str
    name: str
    fixed: Mapping[str, Any]
    domains: Mapping[tuple[str, ...], Domain]
    shared: Mapping[str, Any] = field(default_factory=dict)

    def component(self, params: Mapping[str, Param]) -> Component:
        """Return the intervention that parameters stand for."""
        values = {path: d.value(params, self._param(path)) for path, d in self.domains.items()}
        made = self._with(values)
        return Component(name=made.name, config={**made.config, **self.shared})

    def first(self) -> Component:
        """Return the intervention of which every setting takes its first end."""
        made = self._with({path: domain.ends()[0] for path, domain in self.domains.items()})
        return Component(name=made.name, config={**made.config, **self.shared})

    def corners(self) -> Iterator[tuple[str, Component]]:
        """Yield interventions in which each setting takes each of its ends, and what was set."""
        first = {path: domain.ends()[0] for path, domain in self.domains.items()}
        yield self.label, self._with(first)
        for path, domain in self.domains.items():
            for value in domain.ends():
                yield f"{self._param(path)} = {value}", self._with({**first, path: value})

    def ask(self, trial: optuna.Trial) -> Params:
        """Return what ``trial`` is to try of this method."""
        params: Params = {}
        for path, domain in self.domains.items():
            params |= domain.ask(trial, self._param(path))
        return params

    def distributions(self) -> Distributions:
        """Return what its parameters are drawn from, as Optuna describes it."""
        drawn: Distributions = {}
        for path, domain in self.domains.items():
            drawn |= domain.distributions(self._param(path))
        return drawn

    def grid(self) -> list[Params] | None:
        """Return every combination; None where a range has no step."""
        points = [domain.grid(self._param(path)) for path, domain in self.domains.items()]
        known = [some for some in points if some is not None]
        if len(known) < len(points):
            return None
        return [
            {name: value for part in parts for name, value in part.items()}
            for parts in itertools.product(*known)
        ]

    def reaches(self, key: str) -> tuple[Any, ...]:
        """Return every value that a setting may take, or its ends if they can't be counted."""
        domain = self.domains.get((key,))
        if domain is None:
            return (self.fixed[key],) if key in self.fixed else ()
        points = domain.grid(key)
        return domain.ends() if points is None else tuple(domain.value(p, key) for p in points)

    def _param(self, path: tuple[str, ...]) -> str:
        return ".".join((self.label, *path))

    def _with(self, settings: Mapping[tuple[str, ...], Any]) -> Component:
        config = json.loads(json.dumps(dict(self.fixed)))
        for path, value in settings.items():
            place = config
            for key in path[:-1]:
                place = place.setdefault(key, {})
            place[path[-1]] = value
        return Component(name=self.name, config=config)


@dataclass(frozen=True)
class Space:
    """The methods that a search may choose among, by their labels."""

    methods: Mapping[str, Method]

    def ask(self, trial: optuna.Trial) -> Params:
        """Return what ``trial`` is to try."""
        labels = tuple(self.methods)
        if len(labels) == 1:
            return self.methods[labels[0]].ask(trial)
        label = str(trial.suggest_categorical(METHOD, labels))
        return {METHOD: label, **self.methods[label].ask(trial)}

    def distributions(self, params: Mapping[str, Param]) -> Distributions:
        """Return what each of a trial's parameters was drawn from, as Optuna describes it."""
        labels = optuna.distributions.CategoricalDistribution(tuple(self.methods))
        named: Distributions = {METHOD: labels} if METHOD in params else {}
        return {**named, **self.method(params).distributions()}

    def method(self, params: Mapping[str, Param]) -> Method:
        """Return the method that parameters are of."""
        return self.methods[str(params.get(METHOD, next(iter(self.methods))))]

    def grid(self) -> list[Params] | None:
        """Return every configuration as parameters; None where a range has no step."""
        points: list[Params] = []
        for label, method in self.methods.items():
            some = method.grid()
            if some is None:
                return None
            named: Params = {METHOD: label} if len(self.methods) > 1 else {}
            points += [{**named, **point} for point in some]
        return points


def first_uncountable(methods: Sequence[Method]) -> str | None:
    """Return the first range without a step, by the name of its parameter; None if all have one."""
    for method in methods:
        for path, domain in method.domains.items():
            if domain.grid("value") is None:
                return ".".join((method.label, *path))
    return None
