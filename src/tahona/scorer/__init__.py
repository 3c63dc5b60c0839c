"""The row scorer: what a bundle says about one raw row, without pandas, scikit-learn or a vendor's Python code."""
