"""EEG files to signals, pictures, findings and text."""
