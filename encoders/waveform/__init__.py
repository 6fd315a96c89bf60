"""Detector of waveforms on single electrodes (CerebraGloss-YOLO)."""

from encoders.waveform.anchors import Assignment as Assignment
from encoders.waveform.anchors import iou_1d as iou_1d
from encoders.waveform.detector import WaveformDetector as WaveformDetector
from encoders.waveform.loss import DetectionLoss as DetectionLoss
from encoders.waveform.nms import Detections as Detections
from encoders.waveform.nms import select_boxes as select_boxes
from encoders.waveform.nms import suppress as suppress
from encoders.waveform.presets import BASE_DETECTOR as BASE_DETECTOR
from encoders.waveform.presets import DETECTOR_PRESETS as DETECTOR_PRESETS
from encoders.waveform.presets import ELECTRODES as ELECTRODES
from encoders.waveform.presets import N_TIMES as N_TIMES
from encoders.waveform.presets import SFREQ as SFREQ
from encoders.waveform.presets import TINY_DETECTOR as TINY_DETECTOR
from encoders.waveform.presets import WAVEFORM_KINDS as WAVEFORM_KINDS
from encoders.waveform.presets import DetectorPreset as DetectorPreset
