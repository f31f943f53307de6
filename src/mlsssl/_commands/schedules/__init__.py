"""Where `mlsssl schedule` puts a renewal: the Task Scheduler, a systemd timer, or a crontab."""
