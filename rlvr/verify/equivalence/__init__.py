"""Are two answers equal? Notation, numbers and algebra."""
