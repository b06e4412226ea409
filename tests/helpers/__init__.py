"""What several tests share: checkouts, small studies, small models."""
