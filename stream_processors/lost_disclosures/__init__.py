"""What partners hold, found out anew from their topics when the disclosures that told it were lost."""
