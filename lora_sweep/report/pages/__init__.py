"""What people read: Markdown, HTML, LaTeX, the terminal."""
