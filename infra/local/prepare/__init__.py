"""What each server's database needs before its first start and after a new version."""
