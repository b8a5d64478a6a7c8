"""Files of rows: CSV and workbooks."""
