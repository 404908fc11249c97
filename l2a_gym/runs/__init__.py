"""One selector on one task: trained, compared with the controls, exported; the method part by part."""
