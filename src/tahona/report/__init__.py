"""What people read: the page, its Markdown twin, the model card and the figures."""
