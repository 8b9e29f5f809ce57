"""People's logins: one name and one password for every server, with the rights of one role."""
