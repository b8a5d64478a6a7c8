"""How names, texts and colours appear on the pages."""
