"""softxent.diagnose: what is wrong with a loss or a gradient, in words.

The mistakes that are known are hypotheses.py; what the user gave is case.py; which of them explain it, matching.py.
"""

from softxent.diagnosis.doctor import diagnose, diagnosis_of
from softxent.diagnosis.result import Diagnosis, Finding, Place

__all__ = ["Diagnosis", "Finding", "Place", "diagnose", "diagnosis_of"]
