"""The whole journey, headless: fifteen named steps through public interfaces, each held or not."""
