#![doc = "Holds nothing but its dependencies: see the manifest."]
