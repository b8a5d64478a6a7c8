"""Jobs: files of any number of rows, predicted in the background by other processes."""

#: The file in JOBS_FOLDER that is written when a job is created or resumed. It is defined here
#: because the master of a server reads it and must not import prometheus_client, see
#: servers/forking.py.
WAKE = "wake"
