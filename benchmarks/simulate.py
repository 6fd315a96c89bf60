"""How many times faster than real time EEG is simulated, on one core.

python benchmarks/simulate.py              # seconds
python benchmarks/simulate.py --profile    # and where the time goes

Prints one JSON object: for each case the recording's seconds over this process's CPU seconds, boxes included, the best
of some runs with the forward model in its cache; and the seconds that the first recording takes, which builds it.
"""

import argparse
import cProfile
import json
import pstats
import sys
import time
from dataclasses import replace

from corpus.simulate import SIXTY_FOUR, STATES, TEN_TWENTY, SimulationPreset, detector_preset, simulate
from corpus.simulate.detector import EPILEPTIC_RATES, RATES

DURATION_S = 120.0


def cases() -> dict[str, SimulationPreset]:
    """What is timed: the plain preset, and every event at the middle of its rates on 1 to 64 electrodes."""
    table = RATES | EPILEPTIC_RATES
    rates = {kind: (low + high) / 2 for kind, (_, low, high) in table.items()}
    busy = SimulationPreset(duration_s=DURATION_S, states=STATES, events=rates, varied=True, mains_hz=50.0)
    found = {"plain, 19 electrodes": SimulationPreset(duration_s=DURATION_S)}
    for names in (TEN_TWENTY[:1], TEN_TWENTY, SIXTY_FOUR):
        found[f"all states and events, {len(names)} electrodes"] = replace(busy, ch_names=names)
    return found


def real_time_factor(preset: SimulationPreset, runs: int) -> float:
    """Seconds of EEG per CPU second, best of `runs`."""
    seconds = []
    for seed in range(runs):
        start = time.process_time()
        simulate(preset, seed)
        seconds.append(time.process_time() - start)
    return preset.duration_s / min(seconds)


def drawn_factor(count: int) -> float:
    """Seconds of EEG per CPU second over `count` recordings of a minute as a detector is trained on, montages drawn."""
    presets = [detector_preset(seed) for seed in range(count)]
    start = time.process_time()
    for seed, preset in enumerate(presets):
        simulate(preset, seed)
    return sum(preset.duration_s for preset in presets) / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="print the twenty slowest functions of the busiest case")
    args = parser.parse_args()
    start = time.process_time()
    simulate(SimulationPreset(duration_s=2.0), 0)
    first_s = time.process_time() - start
    factors = {name: round(real_time_factor(preset, args.runs)) for name, preset in cases().items()}
    factors["detector_preset, 40 seeds"] = round(drawn_factor(40))
    print(json.dumps({"first_recording_s": round(first_s, 2), "times_real_time": factors}, indent=2))
    if args.profile:
        profile = cProfile.Profile()
        profile.runcall(simulate, list(cases().values())[-1], 0)
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(20)


if __name__ == "__main__":
    main()
