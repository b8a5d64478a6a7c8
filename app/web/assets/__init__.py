"""The style sheets and scripts of the pages."""
