"""Results as people read them: tables and plots."""
