"""Data files of every kind: :func:`~l2a_gym.tasks.formats.rows.read_rows` leads from a path to rows."""
