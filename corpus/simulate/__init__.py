"""EEG with known truth: a spherical head, rhythms, graphoelements and artifacts, each event annotated exactly.

preset = SimulationPreset(states=("awake_eyes_closed", "n2"))
simulation = simulate(preset, seed=1)      # simulation.recording, simulation.events, simulation.boxes
simulate(detector_preset(1), seed=1)       # all ages, montages and waveforms, to train a detector on
"""

from corpus.simulate.boxes import BOX_KINDS, BOX_RULES, Box
from corpus.simulate.detector import detector_preset
from corpus.simulate.edf import write_edf
from corpus.simulate.preset import SIXTY_FOUR, STATES, TEN_TWENTY, SimulationPreset, random_preset
from corpus.simulate.recording import EVENT_KINDS, FIELD_FRACTION, SimulatedEvent, Simulation, simulate

__all__ = [
    "BOX_KINDS",
    "BOX_RULES",
    "EVENT_KINDS",
    "FIELD_FRACTION",
    "SIXTY_FOUR",
    "STATES",
    "TEN_TWENTY",
    "Box",
    "SimulatedEvent",
    "Simulation",
    "SimulationPreset",
    "detector_preset",
    "random_preset",
    "simulate",
    "write_edf",
]
