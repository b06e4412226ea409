"""The one table of the methods: its columns, its cells, and what its menus show."""
