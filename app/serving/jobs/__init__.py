"""Jobs: files of any number of rows, predicted in the background by other processes."""
