"""What stands in front of the services: an nginx configuration made from the registry. No proxy of our own."""
