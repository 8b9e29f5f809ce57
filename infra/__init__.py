"""What the platform is given to run with (`contract`), and a folder for each way to run it."""
