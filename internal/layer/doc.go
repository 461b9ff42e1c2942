// Package layer keeps the layers of images and turns them into bases: for
// each image one EROFS file system in which all its layers are seen as one.
//
// Under the data root:
//
//	layers/<chain id>/  layer.json       {format, chainID, diffID, size}
//	                    layerchain.json  the folders of its parents, nearest first
//	bases/<image id>/   base.erofs       all layers of the image, merged
//	                    base.json        {format, imageID, layers, size, warnings}
//
// A layer's tar is read once, as a stream, from the topmost layer down, so
// that what upper layers hide is not stored. Nothing of it is ever unpacked on
// the host: its paths are only names in a tree in memory, its data goes into
// the image. What a tar may and may not say is told at (*builder).entry.
//
// Which images exist, and where the tars come from, belongs to the callers.
package layer
