"""Pages of EEG as a reader sees them: `PageRenderer`, microvolts to pictures, without a plotting library."""

from corpus.page.layout import PageLayout, fit_size
from corpus.page.montage import Derivations, Montage, derive
from corpus.page.renderer import PageRenderer, PageStyle
