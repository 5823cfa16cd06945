"""Evaluation by lm-evaluation-harness: its tasks and scoring, with programs run in a sandbox."""
