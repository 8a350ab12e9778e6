"""Finding anything: suggestions under the search box and in the palette, and the page of results."""
