"""What a run keeps and tells: checkpoints, averages, schedules, probes, the log and its curves."""
