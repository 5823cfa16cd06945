"""Two models side by side: which questions one gets right and the other does not, and which of them are shown."""
