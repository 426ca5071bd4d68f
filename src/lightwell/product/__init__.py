"""What people use: accounts, sounds, videos, social, feed; one folder a feature, reached by its face."""
