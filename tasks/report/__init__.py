"""results/report.html: one file that opens offline, the answer first. A module and a template for each section."""
