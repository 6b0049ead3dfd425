"""Law packs: what each jurisdiction asks before data may go to a recipient, as data that lawyers can change."""
