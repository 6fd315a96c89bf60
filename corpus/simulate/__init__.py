"""EEG with known truth: a spherical head, rhythms, graphoelements and artifacts, each event annotated exactly.

preset = SimulationPreset(states=("awake_eyes_closed", "n2"))
simulation = simulate(preset, seed=1)      # simulation.recording, simulation.events
"""

from corpus.simulate.edf import write_edf
from corpus.simulate.preset import STATES, TEN_TWENTY, SimulationPreset, random_preset
from corpus.simulate.recording import EVENT_KINDS, FIELD_FRACTION, SimulatedEvent, Simulation, simulate

__all__ = [
    "EVENT_KINDS",
    "FIELD_FRACTION",
    "STATES",
    "TEN_TWENTY",
    "SimulatedEvent",
    "Simulation",
    "SimulationPreset",
    "random_preset",
    "simulate",
    "write_edf",
]
