"""A detector that anybody can try: a page that runs in the browser, or a Gradio app."""
