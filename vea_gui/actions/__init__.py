"""The table of actions: menus, toolbar, context menus, shortcuts and search are made from it."""
