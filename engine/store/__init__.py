"""Configuration to bytes and back: labels, private regions, the commit on a majority of copies, the scan for them."""
