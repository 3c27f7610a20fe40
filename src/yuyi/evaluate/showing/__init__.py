"""Results as tables and as a page of HTML."""
