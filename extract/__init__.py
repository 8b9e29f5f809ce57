"""From a department's files, databases and portals into `raw`."""
