"""The diagonal linear recurrence of state-space models."""
