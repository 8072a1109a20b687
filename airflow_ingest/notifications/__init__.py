"""What people are told of, and how: incidents of runs, missed deadlines, e-mail and notifiers."""
