"""Theory: theorems checked exactly, rates measured with intervals."""
