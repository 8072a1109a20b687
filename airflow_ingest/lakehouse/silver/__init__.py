"""Silver: a batch's rows judged, typed, deduplicated and merged on their keys."""
