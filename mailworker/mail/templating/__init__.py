"""A mail's texts where nobody wrote them: `templates` renders the files of a `template_folder` in the
`template_sandbox`, within its `template_bounds`; `text_of_html` makes the text of a mail that is HTML alone."""
