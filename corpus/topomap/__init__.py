"""Scalp potential maps: the potential of a segment, MNE's interpolation as a matrix, pictures, and captions."""

from corpus.topomap.captions import describe_map
from corpus.topomap.interpolation import project_to_plane
from corpus.topomap.potential import POTENTIALS, map_potential, median_potential
from corpus.topomap.renderer import TopomapRenderer
