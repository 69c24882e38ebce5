"""Live plots. pyqtgraph is loaded when the first plot is shown, never before."""
